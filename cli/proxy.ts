/** Proxies that the environment names. */

import * as http from 'node:http';

/**
 * Lets requests go through HTTP_PROXY and HTTPS_PROXY, but for NO_PROXY, by Node's own means, which Node 24.21 has. Older ones
 * heed them if they start with NODE_USE_ENV_PROXY=1, or not at all.
 */
export function heedProxies(): void {
  const { setGlobalProxyFromEnv } = http as { setGlobalProxyFromEnv?: () => unknown };
  const { env } = process;
  const isNamed = ['http_proxy', 'https_proxy'].some((name) => env[name] || env[name.toUpperCase()]);
  if (!setGlobalProxyFromEnv || !isNamed || env.NODE_USE_ENV_PROXY) return;
  setGlobalProxyFromEnv();
  env.NODE_USE_ENV_PROXY = '1';
}
