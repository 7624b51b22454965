/** Shows the progress of long work on stderr: a bar on a terminal, and otherwise a few lines. */

import progress from 'cli-progress';
import { bar, isTerminal } from './text.js';

export interface ProgressView {
  update(progress: { loaded: number; total: number | undefined }): void;
  /** Ends the view; the bar stays as it is. */
  stop(): void;
}

const MB = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Whether progress is shown by bars. */
export const hasBars = (): boolean => isTerminal(process.stderr);

/** Begins a view of bytes. Nothing is shown in the first `after` milliseconds: work that is done by then is not worth a bar. */
export function showBytes(title: string, { after = 0 } = {}): ProgressView {
  const amount = (value: number, total?: number): string =>
    total === undefined ? `${MB(value)} MB` : `${MB(value)} of ${MB(total)} MB`;
  const view = hasBars() ? barView(title, amount, false) : lineView(title);
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

/** A bar of pictures, for a terminal alone; it goes away at the end. */
export interface PictureView {
  /** Shows how many are done, below what `write` writes first, if that is on the terminal too. */
  update(done: number, write?: () => void, isOnTerminal?: boolean): void;
  stop(): void;
}

/** Begins a bar for `total` pictures. Without a terminal, or for one picture, it shows nothing. */
export function showPictures(total: number): PictureView {
  const view = hasBars() && total > 1 ? barView('', (value) => `${value} of ${total} pictures`, true) : undefined;
  return {
    update(done, write, isOnTerminal = true) {
      if (write && isOnTerminal) view?.stop();
      write?.();
      if (done < total) view?.update({ loaded: done, total });
    },
    stop: () => view?.stop(),
  };
}

/** A line of at most as many characters as the terminal has columns: title, bar, percent, amount, time left. */
function barLine(parts: { title: string; amount: string; left: string; done: number }): string {
  const { title, amount, left, done } = parts;
  const columns = (process.stderr.columns || 80) - 1;
  const percent = `${Math.floor(done * 100)} %`.padStart(5);
  const [begin, end] = [title ? `${title}  ` : '', `${percent}  ${amount}`];
  const room = columns - begin.length - end.length - 1;
  // Too narrow: what matters most is in front.
  if (room < 8) return `${end}  ${title}`.slice(0, columns).trimEnd();
  const width = Math.min(30, room - (room - 10 > left.length ? left.length : 0));
  const drawn = `${begin}${bar(done, width).padEnd(width, '░')} ${end}`;
  return drawn.length + left.length <= columns ? drawn + left : drawn;
}

function barView(title: string, amount: (value: number, total?: number) => string, isCleared: boolean): ProgressView {
  const start = performance.now();
  const view = new progress.SingleBar({
    format: (_, { progress: done, value, total }, { known }) => {
      if (!known) return `${title}  ${amount(value)}`;
      const eta = ((performance.now() - start) / 1000) * (1 / done - 1);
      // The first part comes before all is up to speed.
      const left = done > 0.02 && done < 1 ? `  ${timeText(eta)} left` : '';
      return barLine({ title, amount: amount(value, total), left, done });
    },
    stream: process.stderr,
    clearOnComplete: isCleared,
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

/** `12 s`, `3 min`, `2 h`. */
export function timeText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
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
