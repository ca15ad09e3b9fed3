# The image as `cargo xtask image` writes it, for those who build with Docker:
#   docker build --tag localhost/mdfs:0.1.0 .
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /mdfs
COPY . .
# Named, so that macros and build scripts are not linked statically too.
ENV TARGET=x86_64-unknown-linux-gnu \
    RUSTFLAGS="-Ctarget-feature=+crt-static" \
    CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_STRIP=symbols
RUN cargo build --locked --release --package mdfs --bin mdfs --target "$TARGET" \
 && install -D --target-directory=/image/usr/bin "target/$TARGET/release/mdfs" \
 && install -D --mode=644 --target-directory=/image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
 && install -D --mode=644 --target-directory=/image/usr/share/licenses/mdfs LICENSE \
 && cargo tree --locked --package mdfs --edges normal --target "$TARGET" --prefix none --format '{p}: {l}' \
  | grep -v ' (/' | sort -u > /image/usr/share/licenses/mdfs/THIRD-PARTY \
 && printf 'root:x:0:0:root:/:/sbin/nologin\nmdfs:x:65532:65532:mdfs:/:/sbin/nologin\n' > /image/etc/passwd \
 && printf 'root:x:0:\nmdfs:x:65532:\n' > /image/etc/group

FROM scratch
COPY --from=build /image/ /
ENV PATH=/usr/bin
USER 65532:65532
ENTRYPOINT ["/usr/bin/mdfs"]
