// Worker threads that allocate at once, and hand what they made to each other.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const zlib = require('zlib');

function work(seed) {
  const stones = new Map();
  for (let i = 0; i < 20000; i++) {
    stones.set(`stone ${(i * 7919 + seed) % 20011}`,
      { number: i, list: new Array(i % 10).fill(seed) });
  }
  const text = JSON.stringify([...stones].sort((a, b) => (a[0] < b[0] ? -1 : 1)));
  const packed = zlib.deflateSync(text);
  const buffers = [];
  for (let i = 0; i < 2000; i++) buffers.push(Buffer.alloc(100 + (i * 37) % 9000, i));
  const hash = crypto.createHash('sha256').update(zlib.inflateSync(packed));
  for (const buffer of buffers) hash.update(buffer);
  return hash.digest('hex');
}

if (isMainThread) {
  const said = [];
  let running = 4;
  for (let number = 0; number < 4; number++) {
    const worker = new Worker(__filename, { workerData: number });
    worker.on('message', (bytes) => { said[number] = Buffer.from(bytes).toString(); });
    worker.on('exit', () => { if (--running === 0) console.log([...said, work(9)].join('\n')); });
  }
} else {
  const bytes = new TextEncoder().encode(work(workerData));
  parentPort.postMessage(bytes.buffer, [bytes.buffer]);
}
