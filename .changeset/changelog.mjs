/** Writes the CHANGELOG of each package: sentences without commit hashes, and one line for the packages of Oriel that it needs. */
export default {
  getReleaseLine: ({ summary }) => {
    const [first, ...more] = summary.split('\n').map((line) => line.trimEnd())
    return [`- ${first}`, ...more.map((line) => (line === '' ? '' : `  ${line}`))].join('\n')
  },
  getDependencyReleaseLine: (_, dependencies) =>
    dependencies.length === 0
      ? ''
      : `- Needs ${dependencies.map(({ name, newVersion }) => `\`${name}\` ${newVersion}`).join(', ')}.`,
}
