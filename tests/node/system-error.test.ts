import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultOf, withPath } from '../../bindings/node/system-error.js';

const error = (message: string, rest: object) => Object.assign(new Error(message), { syscall: 'write', ...rest });
const full = error('ENOSPC: no space left on device, write', { code: 'ENOSPC' });

test('what is the matter is said without the path and the call', () => {
  assert.is(faultOf(full), 'no space left on device (ENOSPC)');
  assert.is(
    faultOf(error("EACCES: permission denied, open '/a, b'", { code: 'EACCES', path: '/a, b' })),
    'permission denied (EACCES)',
  );
  assert.is(faultOf(error("ENOENT: no such file or directory, stat 'x'", { code: 'ENOENT' })), 'no such file');
  assert.is(faultOf(error('ENAMETOOLONG: name too long, stat …', { code: 'ENAMETOOLONG' })), 'no such file');
  assert.is(faultOf(error('odd', { code: 'EODD' })), 'odd');
  assert.is(faultOf(new Error('a: expected b.')), 'a: expected b');
});

test('an error without a path gets one, and others stay as they are', () => {
  const named = withPath('cache/w.safetensors', full) as Error;
  assert.is(named.message, 'cache/w.safetensors: no space left on device (ENOSPC).');
  assert.is(named.cause, full);
  for (const other of [error('EIO: i/o error, read', { code: 'EIO', path: 'x' }), new Error('y'), 'z', undefined]) {
    assert.is(withPath('path', other), other);
  }
});

test.run();
