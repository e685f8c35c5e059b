/** The router's HTTP edge around an Apollo Server of the suite's, as the standard path has it around its own. */
import { createLog } from '@taskflow/kit/log';
import { createHttpServer, listen } from '@taskflow/kit/service-wire';
import { anonymousConfig } from '../src/config.ts';
import { answerTo, exchangeOf, send } from '../src/http.ts';
import { createPipeline } from '../src/pipeline.ts';
import { answerByApollo } from '../src/standard-path.ts';

export const log = createLog({ process: 'audit', level: 'silent' });

/** Every request takes the standard path, through the stages in front of it. */
export async function serve(server, context) {
  const standardPath = {
    takesAll: true,
    start: async () => {},
    stop: async () => {},
    limit: async () => null,
    answer: (exchange) => answerByApollo(server, exchange, context),
  };
  const pipeline = createPipeline({
    config: anonymousConfig({}),
    supergraph: {
      current: () => {
        throw new Error('The suite brings its own schema.');
      },
    },
    tokens: null,
    standardPath,
    log,
  });
  const http = createHttpServer();
  http.on('request', async (request, response) => {
    const answer = await answerTo(exchangeOf(request, 0), response, { pipeline, streams: null });
    send(request, response, answer, false);
  });
  await listen(http, { name: 'audit', host: '127.0.0.1', port: 0 });
  return {
    url: `http://127.0.0.1:${http.address().port}/`,
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
