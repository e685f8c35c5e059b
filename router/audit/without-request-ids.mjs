/**
 * Stands before the router and takes out of its answers what the suite cannot know: the request id that every error of
 * the router carries. Everything else passes as it is.
 */
import { createServer, request as send } from 'node:http';

export async function withoutRequestIds(target) {
  const server = createServer((request, response) => {
    const { method, headers, url } = request;
    const upstream = send(`${target}${url}`, { method, headers }, async (answer) => {
      const chunks = [];
      for await (const chunk of answer) chunks.push(chunk);
      const text = Buffer.concat(chunks)
        .toString()
        .replaceAll(/,"requestId":"[^"]+"/g, '');
      const length = method === 'HEAD' ? {} : { 'content-length': Buffer.byteLength(text) };
      response.writeHead(answer.statusCode, { ...answer.headers, ...length }).end(text);
    });
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
