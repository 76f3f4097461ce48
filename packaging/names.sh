# For the scripts beside this: what is built, for which machine, and where it is.
# shellcheck shell=bash
say() { printf '%s\n' "$*" >&2; }
VERSION=$(sed -n '0,/^version = "\(.*\)"/s//\1/p' Cargo.toml)
target=$(rustc --version --verbose | sed -n 's/^host: //p')
case $target in
x86_64-unknown-linux-gnu) ARCH=amd64 ;;
aarch64-unknown-linux-gnu) ARCH=arm64 ;;
*) die "packaging: releases are built on Linux (glibc), x86-64 or aarch64, and not on $target" ;;
esac
name=appcred-$VERSION-$target
out=target/release-files/$VERSION-$target
FILES=$out/$name
# The program of the image.
IN_IMAGE=$out/$name-kubernetes
# The oldest release of glibc that the program starts with: that of RHEL 9. Ubuntu 22.04 has 2.35, Debian 12 has 2.36.
GLIBC=2.34
export VERSION ARCH FILES IN_IMAGE GLIBC
