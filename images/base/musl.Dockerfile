# Stands for busybox:musl: a shell and musl's loader, nothing of glibc.
FROM initbox-base/debian:bookworm AS debian
RUN mkdir -p /out/bin /out/lib /out/tmp && cp /bin/busybox /out/bin/ && cp -a /lib/ld-musl-* /lib/*-linux-musl /out/lib/ \
    && for tool in $(/bin/busybox --list); do ln -s busybox "/out/bin/$tool" 2> /dev/null || true; done

FROM scratch
COPY --from=debian /out/ /
CMD ["sh"]
