/** The page's start: its views by their addresses, the dock, and the service worker. */

import './style.css';
import { App, type View } from './app.js';
import { takeDropsAndPastes } from './choose.js';
import { classify } from './classify.js';
import { compare } from './compare.js';
import { dock } from './dock.js';
import { inside } from './inside.js';
import { serviceWorkers } from './offline.js';
import { teach } from './teach.js';
import { where } from './where.js';

const views: readonly View[] = [classify, where, teach, inside, compare];

const app = new App();
const main = document.querySelector('main') as HTMLElement;
const links = document.querySelectorAll('nav a');
dock(app, document.querySelector('.dock') as HTMLElement);
takeDropsAndPastes(app);

const rendered = new Map<View, HTMLElement>();
let current: View | undefined;

function show(): void {
  const view = views.find(({ id }) => `#${id}` === location.hash) ?? classify;
  if (view === current) return;
  const isFirst = current === undefined;
  current?.hidden?.();
  current = view;
  let element = rendered.get(view);
  if (!element) {
    element = view.render(app);
    rendered.set(view, element);
  }
  main.replaceChildren(element);
  document.title = `${view.title} · resnet-wasm`;
  for (const link of links) {
    if (link.getAttribute('href') === `#${view.id}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  view.shown?.();
  if (!isFirst) {
    // As after following a link to another page: from the top, and read out from its heading.
    const heading = element.querySelector('h1');
    heading?.setAttribute('tabindex', '-1');
    heading?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

addEventListener('hashchange', show);
show();

// Without it (no HTTPS, or private windows of some browsers) the page works, but not offline.
serviceWorkers()
  ?.register('sw.js', { updateViaCache: 'none' })
  .catch(() => {});
