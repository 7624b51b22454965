/** Threads through the public API: the same bits for every number of them, on every binary, and no end left loose. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BINARIES } from '../../bindings/engine/binary.js';
import { threadCount } from '../../bindings/engine/thread-pool.js';
import {
  buildNetwork,
  type LoadOptions,
  load,
  type Model,
  seededInput,
  seededWeights,
} from '../../bindings/index.node.js';
import { platform, usePlatform } from '../../bindings/platform/platform.js';

const NAME = 'resnet20_cifar';

const open = (options: Omit<LoadOptions, 'weights'>): Promise<Model> =>
  load(NAME, { weights: seededWeights(buildNetwork(NAME, { size: options.size })), ...options });

async function logits(model: Model, batch: number, side: number): Promise<Float32Array> {
  const shape = [batch, 3, side, side];
  return (await model.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data;
}

const sameBits = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

/** Runs `task` as if on another platform. */
async function elsewhere<Result>(change: Partial<typeof platform>, task: () => Promise<Result>): Promise<Result> {
  const here = platform;
  usePlatform({ ...here, ...change });
  try {
    return await task();
  } finally {
    usePlatform(here);
  }
}

const test = suite('threads');

for (const binary of BINARIES) {
  for (const [winograd, side] of [
    [true, 32],
    [false, 32],
    [true, 21],
  ] as const) {
    test(`1 to 7 threads give the same bits for every batch (${binary}, ${side}x${side}, winograd: ${winograd})`, async () => {
      const single = side * side * 3;
      const images = seededInput([9, 3, side, side]);
      let expected: Float32Array | undefined;
      for (const threads of [1, 2, 3, 4, 5, 6, 7]) {
        const model = await open({ threads, binary, winograd, size: side });
        assert.is(model.info().threads, threads);
        assert.is(model.info().threadsNote, undefined);
        for (const batch of [9, 1, 2, 3, 4, 5, 6, 7, 8]) {
          const shape = [batch, 3, side, side];
          const { data } = await model.run({ data: images.subarray(0, batch * single), shape, layout: 'NCHW' });
          expected ??= data;
          assert.ok(sameBits(data, expected.subarray(0, data.length)), `batch ${batch} on ${threads} threads`);
        }
        model.dispose();
      }
      assert.ok(expected?.every(Number.isFinite));
    });
  }
}

test('threads that never come hold nobody up', async () => {
  const alone = await open({ threads: 1 });
  const expected = await logits(alone, 3, 32);
  alone.dispose();
  const startThread: (typeof platform)['startThread'] = (_start, onMessage) => {
    setTimeout(() => onMessage('ready'));
    return { terminate: () => {} };
  };
  await elsewhere({ startThread }, async () => {
    const model = await open({ threads: 5 });
    assert.is(model.info().threads, 5);
    assert.ok(sameBits(await logits(model, 3, 32), expected));
    model.dispose();
  });
});

test('threads that come and go, as steps of other jobs are at hand', async () => {
  const alone = await open({ threads: 1 });
  const expected = [await logits(alone, 1, 32), await logits(alone, 4, 32)];
  alone.dispose();
  const model = await open({ threads: 7 });
  // Short jobs one after the other, of two layouts: a thread that wakes late finds another job than it was woken for.
  for (let round = 0; round < 40; round++) {
    const batch = [1, 4][round & 1] as number;
    assert.ok(sameBits(await logits(model, batch, 32), expected[round & 1] as Float32Array), `round ${round}`);
  }
  model.dispose();
});

test('all are workers where this thread may not block, and the result is the same', async () => {
  const alone = await open({ threads: 1 });
  const expected = await logits(alone, 2, 32);
  // Workers that wait keep no process alive.
  const alive = setInterval(() => {}, 1000);
  await elsewhere({ mayBlock: false }, async () => {
    for (const threads of [1, 2]) {
      const model = await open({ threads });
      assert.is(model.info().threads, threads);
      // A run in this thread would not let the timer go off before it is done.
      const order: string[] = [];
      setImmediate(() => order.push('timer'));
      const runs = await Promise.all([logits(model, 2, 32), logits(model, 2, 32), logits(model, 2, 32)]);
      order.push('run');
      assert.equal(order, ['timer', 'run']);
      for (const run of runs) assert.ok(sameBits(run, expected));
      model.dispose();
    }
  });
  clearInterval(alive);
  alone.dispose();
});

test('without workers, a thread that may not block has its turn between the steps', async () => {
  const model = await open({ threads: 1 });
  const expected = await logits(model, 2, 32);
  await elsewhere({ mayBlock: false }, async () => {
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    assert.ok(sameBits(await logits(model, 2, 32), expected));
    isDone = true;
    assert.ok(turns > 5, `${turns} turns`);
  });
  model.dispose();
});

test('one thread and the reason where memory cannot be shared', async () => {
  const notShared = 'One thread, since this is a test.';
  await elsewhere({ whyNoSharedMemory: notShared }, async () => {
    const model = await open({ threads: 2 });
    assert.is(model.info().threads, 1);
    assert.is(model.info().threadsNote, notShared);
    assert.is((await logits(model, 1, 32)).length, 10);
    model.dispose();
    assert.equal(threadCount(1), { count: 1, note: undefined });
  });
});

test('one thread and the reason where no worker starts', async () => {
  const startThread: (typeof platform)['startThread'] = (_start, _onMessage, onError) => {
    setTimeout(() => onError(new Error('a test')));
    return { terminate: () => {} };
  };
  await elsewhere({ startThread }, async () => {
    const model = await open({ threads: 2 });
    assert.is(model.info().threads, 1);
    assert.is(model.info().threadsNote, 'One thread, since no worker started (a test).');
    assert.is((await logits(model, 1, 32)).length, 10);
    model.dispose();
  });
});

test('auto is the number of cores, up to 8', async () => {
  await elsewhere({ cores: 3 }, async () => assert.is(threadCount('auto').count, 3));
  await elsewhere({ cores: 128 }, async () => assert.is(threadCount('auto').count, 8));
});

test('a number of threads that is none', () => {
  for (const threads of [0, -1, 1.5, Number.NaN, 65, '2' as never]) {
    assert.throws(() => threadCount(threads), /^threads: expected auto or a whole number from 1 to 64, got /);
  }
});

test('disposing refuses the runs that wait', async () => {
  const model = await open({ threads: 2 });
  // The first one does not wait.
  const waiting = [1, 2, 3].map(() => logits(model, 1, 32));
  model.dispose();
  const runs = await Promise.allSettled(waiting);
  assert.equal(
    runs.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected'],
  );
  for (const run of runs.slice(1)) assert.match((run as PromiseRejectedResult).reason.message, /disposed/);
});

test('a profile has every step, and the same output', async () => {
  const model = await open({ threads: 2 });
  const shape = [2, 3, 32, 32];
  const input = { data: seededInput(shape), shape, layout: 'NCHW' } as const;
  const plain = await model.run(input);
  const { data, profile } = await model.run(input, { profile: true });
  assert.ok(sameBits(data, plain.data));
  assert.is(plain.profile, undefined);
  assert.is(profile?.at(-1)?.name, 'fc');
  assert.is(
    profile?.reduce((sum, { macs }) => sum + macs, 0),
    2 * model.summary().macs,
  );
  assert.ok(profile?.every(({ ms, kind, algorithm }) => ms >= 0 && (kind === 'conv') === (algorithm !== undefined)));
  model.dispose();
});

test('tuning keeps what it measured, and computes the same network', async () => {
  const kept = new Map<string, string>();
  const memory = {
    getCached: async (key: string) => kept.get(key),
    putCached: async (key: string, value: string) => void kept.set(key, value),
  };
  const plain = await open({ threads: 1, winograd: false });
  const expected = await logits(plain, 1, 32);
  await elsewhere(memory, async () => {
    for (const round of [1, 2]) {
      const model = await open({ threads: 1, tune: true });
      const difference = (await logits(model, 1, 32)).map((v, i) => Math.abs(v - (expected[i] as number)));
      assert.ok(Math.max(...difference) < 1e-5, `round ${round}`);
      model.dispose();
    }
    assert.is(kept.size, 1);
    // What is kept is used: every layer by GEMM now.
    const [key, value] = [...kept][0] as [string, string];
    kept.set(key, JSON.stringify((JSON.parse(value) as [string, string][]).map(([shape]) => [shape, 'gemm'])));
    const forced = await open({ threads: 1, tune: true });
    assert.ok(sameBits(await logits(forced, 1, 32), expected));
    forced.dispose();
  });
  plain.dispose();
});

test.run();
