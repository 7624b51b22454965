/** Pictures that requests name by URL, if the server allows it: from public addresses alone. */

import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { HttpError } from './http-error.js';

/** Networks that are not the public internet: IANA's special-purpose registries (RFC 6890), and multicast. */
const special = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  special.addSubnet(network, prefix, 'ipv4');
}
// IPv6 that is public lies in 2000::/3, but for these; 6to4 and Teredo hold addresses of IPv4.
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
special.addSubnet('2001::', 23, 'ipv6');
special.addSubnet('2001:db8::', 32, 'ipv6');
special.addSubnet('2002::', 16, 'ipv6');
special.addSubnet('3fff::', 20, 'ipv6');

/** Whether an IP address is on the public internet. IPv4 within IPv6 is not. */
export function isPublic(address: string): boolean {
  const version = isIP(address);
  if (version === 6) return global6.check(address, 'ipv6') && !special.check(address, 'ipv6');
  return version === 4 && !special.check(address, 'ipv4');
}

export interface FetchPictureOptions {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Whether an address may be connected to; by default the public ones. */
  readonly isAllowed?: (address: string) => boolean;
  readonly lookup?: typeof systemLookup;
}

const MAX_REDIRECTS = 3;

const refused = (url: URL): HttpError =>
  new HttpError(400, `inputs: expected a URL of a public address, got one of ${url.hostname}.`);

/**
 * Fetches a URL, through no proxy. The address that is checked is the one that is connected to, so that a name which
 * resolves to another the next time (DNS rebinding) gains nothing; each redirect is checked likewise.
 */
export async function fetchPicture(text: string, options: FetchPictureOptions): Promise<Buffer> {
  let url = parsed(text);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await get(url, options);
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      response.destroy();
      url = parsed(headers.location, url);
    } else if (statusCode !== 200) {
      response.destroy();
      throw new HttpError(400, `inputs: expected status 200 of ${url.hostname}, got ${statusCode}.`);
    } else return read(response, options.maxBytes);
  }
  throw new HttpError(400, `inputs: expected at most ${MAX_REDIRECTS} redirects, got more.`);
}

function parsed(text: string, base?: URL): URL {
  if (!URL.canParse(text, base)) throw new HttpError(400, 'inputs: expected a URL, got one that is malformed.');
  const url = new URL(text, base);
  if (/^https?:$/.test(url.protocol)) return url;
  throw new HttpError(400, `inputs: expected a URL of http or https, got ${url.protocol}.`);
}

function get(
  url: URL,
  { signal, isAllowed = isPublic, lookup = systemLookup }: FetchPictureOptions,
): Promise<IncomingMessage> {
  // A literal address is connected to without a lookup.
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) && !isAllowed(literal)) throw refused(url);
  const checked: LookupFunction = (hostname, options, done) =>
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const addresses = (found ?? []) as LookupAddress[];
      const [first] = addresses;
      if (error || !first) return done(error ?? new Error('no address'), '', 0);
      if (!addresses.every(({ address }) => isAllowed(address))) return done(refused(url), '', 0);
      return options.all ? done(null, addresses) : done(null, first.address, first.family);
    });
  const { Agent, request } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const known = error instanceof HttpError || signal.aborted;
      reject(known ? (signal.reason ?? error) : new HttpError(400, `inputs: ${url.hostname} does not answer.`));
    };
    request(url, { agent: new Agent(), lookup: checked, signal, headers: { accept: 'image/*' } })
      .once('response', resolve)
      .once('error', fail)
      .end();
  });
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) throw new HttpError(413, `inputs: expected a picture of at most ${maxBytes} bytes, got more.`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
