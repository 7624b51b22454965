/** The server's log. Its types are public, so that they name no package that an application may lack. */

/** One line of the server's log. */
export interface LogEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly level: 'info' | 'error';
  readonly message: string;
  readonly [name: string]: unknown;
}

export type Log = (level: LogEntry['level'], message: string, more?: Readonly<Record<string, unknown>>) => void;
