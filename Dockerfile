# The command line without window and camera, on the processor: `docker run --rm -v "$PWD:/data" rtrecon`
# runs the bundled clip and leaves video and face in rtrecon-out/. Anything else:
#   docker run --rm -v "$PWD:/data" rtrecon image portrait.jpg --out meshes
#   docker run --rm --device /dev/video0 --group-add video -p 9000/udp rtrecon run 0 --out osc://HOST:9000
FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY rtrecon rtrecon
RUN python3 -m venv /opt/rtrecon && /opt/rtrecon/bin/pip install --no-cache-dir '.[cpu]'

FROM debian:trixie-slim
# What OpenCV's wheel expects of the system.
RUN apt-get update && apt-get install -y --no-install-recommends python3 libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/rtrecon /opt/rtrecon
RUN useradd --create-home --uid 1000 rtrecon && mkdir /data && chown rtrecon /data
USER rtrecon
WORKDIR /data
ENTRYPOINT ["/opt/rtrecon/bin/rtrecon"]
CMD ["run", "demo", "--view", "none", "--every-frame", "--record", "rtrecon-out"]
