'use client';

import { useEffect, useState } from 'react';
import { load } from 'resnet-wasm';

export default function Page() {
  const [model, setModel] = useState();
  const [answer, setAnswer] = useState('');

  useEffect(() => {
    const stop = new AbortController();
    // From public/. The model runs in a Web Worker of its own, so that the page stays responsive.
    load('resnet18', { weights: '/resnet18.safetensors', signal: stop.signal }).then(setModel, (error) => {
      if (!stop.signal.aborted) setAnswer(error.message);
    });
    return () => stop.abort();
  }, []);

  async function classify(file) {
    try {
      const [best] = await model.classify(file, { topK: 1 });
      const { threads, binary } = model.info();
      const label = best.label ?? `class ${best.index}`;
      setAnswer(`${label}, ${(100 * best.probability).toFixed(2)} % (threads: ${threads}, binary: ${binary})`);
    } catch (error) {
      setAnswer(error.message);
    }
  }

  return (
    <main>
      <input
        id="picture"
        type="file"
        accept="image/*"
        disabled={!model}
        onChange={({ target }) => classify(target.files[0])}
      />
      <p id="answer">{answer}</p>
    </main>
  );
}
