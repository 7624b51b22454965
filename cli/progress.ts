/** Shows the progress of long work on stderr: a bar on a terminal, and otherwise a few lines. */

import progress from 'cli-progress';
import { bar } from './text.js';

export interface ProgressView {
  update(progress: { loaded: number; total: number | undefined }): void;
  /** Ends the view; the bar stays as it is. */
  stop(): void;
}

const MB = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Begins a view. Nothing is shown in the first `after` milliseconds: work that is done by then is not worth a bar. */
export function showProgress(title: string, { after = 0 } = {}): ProgressView {
  const view = process.stderr.isTTY ? barView(title) : lineView(title);
  const start = performance.now();
  let shown = false;
  return {
    update(progress) {
      shown ||= performance.now() - start >= after && progress.loaded !== progress.total;
      if (shown) view.update(progress);
    },
    stop() {
      if (shown) view.stop();
    },
  };
}

function barView(title: string): ProgressView {
  const width = Math.max(8, Math.min(30, (process.stderr.columns || 80) - title.length - 42));
  const view = new progress.SingleBar({
    format: (_, { progress: done, value, total, eta }, { known }) => {
      if (!known) return `${title}  ${MB(value)} MB`;
      const percent = String(Math.floor(done * 100)).padStart(3);
      // The first bytes come before the connection is up to speed.
      const left = done > 0.02 && done < 1 && eta > 0 ? `  ${Math.ceil(eta)} s left` : '';
      return `${title}  ${bar(done, width).padEnd(width, '░')} ${percent} %  ${MB(value)} of ${MB(total)} MB${left}`;
    },
    stream: process.stderr,
    // main.ts handles Ctrl-C.
    gracefulExit: false,
  });
  return {
    update({ loaded, total }) {
      const known = { known: total !== undefined };
      if (!view.isActive) view.start(total ?? 0, loaded, known);
      view.update(loaded, known);
    },
    stop: () => view.stop(),
  };
}

function lineView(title: string): ProgressView {
  let next = 0;
  return {
    update({ loaded, total }) {
      // Waits for the first bytes: a failure to connect has a line of its own.
      if (total && loaded < total / 100) return;
      const quarter = total ? Math.floor((4 * loaded) / total) : 0;
      if (quarter < next) return;
      next = quarter + 1;
      const size = total ? `${25 * quarter} % of ${MB(total)} MB` : `${MB(loaded)} MB`;
      process.stderr.write(`${title}: ${size}\n`);
    },
    stop() {},
  };
}
