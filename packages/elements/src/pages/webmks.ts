/** The page of WebMKS consoles: `webmks.html`, which only says what is missing. */
import { startLanguage } from './page-language.ts'

await startLanguage()
