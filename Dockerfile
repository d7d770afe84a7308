# An image with clinfuse as its entry point, for `--on runpod:image=...` and `command:docker run ...`.
#
#   docker build -t REGISTRY/clinfuse:0.1 . && docker push REGISTRY/clinfuse:0.1
#   docker run --rm REGISTRY/clinfuse:0.1 doctor

FROM node:24-slim
# The hub is asked over https.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/clinfuse
# What changes seldom comes first.
COPY package.json package-lock.json .npmrc ./
RUN npm install --omit=dev --no-audit --no-fund && npm cache clean --force
COPY LICENSE README.md ./
COPY bin bin
COPY src src
COPY models models
COPY assets assets
RUN ln -s /opt/clinfuse/bin/clinfuse /usr/local/bin/clinfuse
WORKDIR /data
ENTRYPOINT ["clinfuse"]
CMD ["--help"]
