# resnet-wasm with all that its server and its queue need. Not run by the tests, which have no Docker.
FROM node:24-slim AS build
WORKDIR /src
COPY . .
RUN npm ci && npm pack --ignore-scripts --pack-destination /tmp

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /tmp/resnet-wasm-*.tgz /tmp/
RUN npm init -y > /dev/null \
  && npm install --no-audit --no-fund /tmp/resnet-wasm-*.tgz \
    sharp hono @hono/node-server prom-client bullmq ioredis \
  && rm /tmp/resnet-wasm-*.tgz
# Weights that are fetched are kept in one folder, results in the other: volumes keep them longer.
RUN mkdir -p /home/node/.cache /results && chown node:node /home/node/.cache /results
USER node
ENTRYPOINT ["/app/node_modules/.bin/resnet-wasm"]
CMD ["serve", "--host", "0.0.0.0"]
