/** What every browser can do for a test or measurement, whichever protocol drives it. */

export interface Tab {
  /** Opens a URL, and resolves when it is loaded. */
  open(url: string): Promise<void>;
  /** Evaluates an expression in the page, awaits its promise, and returns what JSON says of the result. */
  evaluate<Value>(expression: string): Promise<Value>;
  /** What the page complains of: errors and warnings. The list grows as they come. */
  readonly found: readonly string[];
  close(): Promise<void>;
}

export interface TestBrowser {
  readonly name: 'Chromium' | 'Firefox' | 'WebKit';
  readonly version: string;
  /** Opens a tab with storage of its own. */
  open(): Promise<Tab>;
  close(): Promise<void>;
}
