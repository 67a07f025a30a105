// What leaves V8's own heap: buffers, compression and digests in the thread pool, two workers.
'use strict';
const crypto = require('crypto');
const zlib = require('zlib');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

let state = 20;
const draw = (below) => {
  state = (state * 11035 + 12345) % 2147483;
  return Math.floor(state / 64) % below;
};
const sum = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex').slice(0, 16);

function piece() {
  const words = ['stone', 'wall', 'dry', 'field', 'cap', 'hearting', 'batter', 'course'];
  const said = Array.from({ length: 20 + draw(400) }, () => words[draw(8)] + draw(30));
  return Buffer.from(JSON.stringify({ said, mass: draw(900) }));
}

const packed = (bytes) => new Promise((done, failed) =>
  zlib.deflate(bytes, { level: 6 }, (error, result) => (error ? failed(error) : done(result))));
const unpacked = (bytes) => new Promise((done, failed) =>
  zlib.inflate(bytes, (error, result) => (error ? failed(error) : done(result))));

async function work(rounds) {
  const lines = [];
  for (let round = 0; round < rounds; round++) {
    const pieces = Array.from({ length: 12 }, piece);
    const small = await Promise.all(pieces.map(packed));
    const large = await Promise.all(small.map(unpacked));
    const same = large.every((bytes, at) => bytes.equals(pieces[at]));
    lines.push(`${round} ${same} ${sum(Buffer.concat(pieces))}`);
  }
  return lines;
}

async function main() {
  if (!isMainThread) {
    state += workerData;
    parentPort.postMessage(await work(8));
    return;
  }
  const others = [1, 2].map((number) => new Promise((done, failed) => {
    const worker = new Worker(__filename, { workerData: number });
    worker.on('message', done).on('error', failed);
  }));
  const all = await Promise.all([work(8), ...others]);
  console.log(all.flat().join('\n'));
}

main();
