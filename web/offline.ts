/** The service worker, by which the page opens offline. */

/** What registers service workers; undefined without HTTPS, and in a sandboxed frame, which throws when it is asked. */
export function serviceWorkers(): ServiceWorkerContainer | undefined {
  try {
    return navigator.serviceWorker;
  } catch {
    return undefined;
  }
}
