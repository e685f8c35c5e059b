/** Jest runs what Node runs: the router's TypeScript with its types taken out, and nothing else changed. */
import { stripTypeScriptTypes } from 'node:module';

export default { process: (source) => ({ code: stripTypeScriptTypes(source) }) };
