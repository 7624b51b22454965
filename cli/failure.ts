/** Reports failures, each as one line on stderr. */

/** Returns the message of an error; for one of the operating system the path, what is the matter, and the code. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  // "ENOENT: no such file or directory, open 'x.npy'"
  const system = code && /^[A-Z0-9]+: (.*?), \w+( '|$)/.exec(error.message);
  return system ? `${path ? `${path}: ` : ''}${system[1]} (${code}).` : error.message || error.name;
}

/** Joins the lines of a text, and makes control characters (in file names, say) visible. */
const oneLine = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\p{Cc}/gu, (control) => JSON.stringify(control).slice(1, -1));

/** Writes one line, and sets the exit code to 1. The line begins with `subject`, if given. */
export function reportFailure(error: unknown, subject?: string): void {
  const text = messageOf(error);
  const line = oneLine(subject === undefined || text.startsWith(subject) ? text : `${subject}: ${text}`);
  process.stderr.write(`${line}\n`);
  process.exitCode = 1;
}
