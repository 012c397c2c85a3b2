# obsctl for CI: `docker run --rm -v ~/.kube:/home/nonroot/.kube:ro obsctl check`.
# Not built by `make dist`, nor by any test: they need no engine. It is the same `cargo build` as that of `make install`.
FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin obsctl

# glibc, libgcc and the authorities of TLS; no shell, no package manager, no root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/obsctl /usr/bin/obsctl
COPY LICENSE /usr/share/doc/obsctl/copyright
ENTRYPOINT ["/usr/bin/obsctl"]
