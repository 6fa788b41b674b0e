/** Big-endian integers, as everywhere in RFB. */
export const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!
export const i32 = (bytes: Uint8Array, at: number): number => (u16(bytes, at) << 16) | u16(bytes, at + 2)
export const u32 = (bytes: Uint8Array, at: number): number => i32(bytes, at) >>> 0

export const u16Bytes = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff]
export const u32Bytes = (value: number): number[] => [...u16Bytes(value >>> 16), ...u16Bytes(value)]
