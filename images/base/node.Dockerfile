# Stands for node:26-bookworm-slim where no registry is at hand; the context is an npm package of Node.
FROM initbox-base/debian:bookworm
COPY bin/node /usr/local/bin/node
COPY LICENSE /usr/local/LICENSE
CMD ["node"]
