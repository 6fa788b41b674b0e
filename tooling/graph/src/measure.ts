/** Finds violations of the import rule: import cycles, and imports from a folder that is later in the order. */
import { cruise, type ICruiseResult, type IModule } from 'dependency-cruiser'
import { entryOf, type FolderOrder } from './order.ts'

export interface Findings {
  /** The files of each cycle of imports of values or types. Cycles that share a file are merged. */
  readonly cycles: readonly (readonly string[])[]
  /** `from → to` for each import from a folder that is later in the order. */
  readonly upward: readonly string[]
  /** Files in folders that the order does not name. */
  readonly unlisted: readonly string[]
}

/**
 * Reads the imports of every file in `folders`, relative to `baseDir`.
 * @param orders the order of the folders below each of these paths
 */
export async function findViolations(
  baseDir: string,
  folders: readonly string[],
  orders: Readonly<Record<string, FolderOrder>>,
): Promise<Findings> {
  const { modules, summary } = await readImports(baseDir, folders)
  const ordered = Object.entries(orders).map(([root, order]) => compareToOrder(modules, root, order))
  return {
    cycles: mergeCycles(summary.violations.map(({ from, cycle = [] }) => [from, ...cycle.map(({ name }) => name)])),
    upward: ordered.flatMap(({ upward }) => upward),
    unlisted: ordered.flatMap(({ unlisted }) => unlisted),
  }
}

async function readImports(baseDir: string, folders: readonly string[]): Promise<ICruiseResult> {
  const { output } = await cruise([...folders], {
    baseDir,
    exclude: { path: ['(^|/)node_modules/', '/dist/'] },
    includeOnly: { path: folders.map((folder) => `^${folder}/`) },
    // Type imports count as well: they make a file depend on another.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@oriel/source', 'import', 'node', 'default'],
    },
    validate: true,
    ruleSet: { forbidden: [{ name: 'cycle', severity: 'error', from: {}, to: { circular: true } }] },
  })
  return output as ICruiseResult
}

function compareToOrder(modules: readonly IModule[], root: string, order: FolderOrder) {
  const inside = modules.filter(({ source }) => source.startsWith(`${root}/`))
  const rankOf = (source: string) => order.indexOf(entryOf(source.slice(root.length + 1), order) ?? '')
  const isUpward = (from: string, to: string) => to.startsWith(`${root}/`) && rankOf(to) > rankOf(from)
  return {
    upward: inside.flatMap(({ source, dependencies }) =>
      dependencies
        .filter(({ resolved }) => isUpward(source, resolved))
        .map(({ resolved }) => `${source} → ${resolved}`),
    ),
    unlisted: inside.map(({ source }) => source).filter((source) => rankOf(source) === -1),
  }
}

/** Merges cycles that share a file. dependency-cruiser reports a cycle once for each of its imports. */
function mergeCycles(cycles: readonly (readonly string[])[]): string[][] {
  let merged: Set<string>[] = []
  for (const cycle of cycles) {
    const touching = merged.filter((group) => cycle.some((file) => group.has(file)))
    const others = merged.filter((group) => !touching.includes(group))
    merged = [...others, new Set([...touching.flatMap((group) => [...group]), ...cycle])]
  }
  return merged.map((group) => [...group].sort())
}
