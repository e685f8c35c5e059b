/**
 * A bare HTTP server that replays the answers of the comparison: what is left when a gateway does nothing at all.
 *
 *   node bench/router/bare.ts ANSWERS-FILE PORT       the file: [[body, answer], …]
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [file = '', port = ''] = process.argv.slice(2);
const answers = new Map<string, string>();
const read = () => {
  for (const [body, answer] of JSON.parse(readFileSync(file, 'utf8'))) answers.set(body, answer);
};

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    // The answers of an operation are written before it is measured.
    if (!answers.has(body)) read();
    const answer = answers.get(body) ?? '';
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(answer),
    });
    response.end(answer);
  });
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('bare listens on http\n'));
