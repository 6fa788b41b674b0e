/** The part of noVNC's RFB class that the elements use: noVNC 1.7, `docs/API.md`. `vnc/rfb.ts` uses the protected members. */
declare module '@novnc/novnc' {
  export interface RfbEventMap {
    connect: CustomEvent<Record<string, never>>
    disconnect: CustomEvent<{ clean: boolean }>
    credentialsrequired: CustomEvent<{ types: readonly string[] }>
    securityfailure: CustomEvent<{ status: number; reason?: string }>
    desktopname: CustomEvent<{ name: string }>
    clipboard: CustomEvent<{ text: string }>
    bell: CustomEvent<Record<string, never>>
  }

  export default class RFB extends EventTarget {
    constructor(target: Element, channel: WebSocket, options?: { shared?: boolean })
    viewOnly: boolean
    scaleViewport: boolean
    clipViewport: boolean
    dragViewport: boolean
    resizeSession: boolean
    background: string
    showDotCursor: boolean
    qualityLevel: number
    compressionLevel: number
    focus(options?: FocusOptions): void
    blur(): void
    disconnect(): void
    sendKey(keysym: number, code: string | null, down?: boolean): void
    clipboardPasteFrom(text: string): void
    toBlob(callback: (blob: Blob | null) => void, type?: string, quality?: number): void
    getImageData(): ImageData
    protected _resize(width: number, height: number): void
    protected readonly _keyboard: { _allKeysUp(): void }
    protected readonly _remoteNumLock: boolean | null
    protected readonly _remoteCapsLock: boolean | null
    protected readonly _clipboardServerCapabilitiesFormats: Readonly<Record<number, boolean>>
    protected readonly _clipboardServerCapabilitiesActions: Readonly<Record<number, boolean>>
    protected _handleLedEvent(): boolean
    addEventListener<K extends keyof RfbEventMap>(type: K, listener: (event: RfbEventMap[K]) => void): void
  }
}
