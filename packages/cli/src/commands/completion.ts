/** `oriel completion SHELL` */
import { Failure } from '../failure.ts'
import { echoed, print } from '../output.ts'
import type { Call } from './command.ts'

/** Each script calls `oriel __complete` with the words up to the cursor, and offers the lines of its output. */
const scripts: Readonly<Record<string, string>> = {
  bash: `_oriel() {
  local i
  mapfile -t COMPREPLY < <(oriel __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  for i in "\${!COMPREPLY[@]}"; do printf -v "COMPREPLY[i]" %q "\${COMPREPLY[i]}"; done
}
complete -o default -F _oriel oriel`,
  zsh: `#compdef oriel
_oriel() {
  local -a found
  found=("\${(@f)$(oriel __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  [[ -n "$found" ]] && compadd -a found || _files
}
compdef _oriel oriel`,
  fish: `function __oriel_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  oriel __complete $words[2..] "$current" 2>/dev/null
end
complete -c oriel -f -a '(__oriel_complete)'
complete -c oriel -l log -l output -r -F`,
}

/** Prints the script for a shell. */
export async function run({ words }: Call): Promise<undefined> {
  const script = Object.hasOwn(scripts, words[0]!) ? scripts[words[0]!] : undefined
  if (script === undefined)
    throw new Failure('usage', `There is no completion for ${echoed(words[0]!)}; choose bash, zsh or fish.`)
  print(script)
}
