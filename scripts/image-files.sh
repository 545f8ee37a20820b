#!/bin/sh
# Lays out the files of the image: the program without its symbols, the libraries that the loader says it needs, certificates, a user.
#
#   scripts/image-files.sh BINARY DIR    DIR is made anew
set -eu

binary=$1
dir=$2
rm -rf "$dir"
mkdir -p "$dir/usr/bin" "$dir/etc/ssl/certs" "$dir/data" "$dir/tmp"
strip -o "$dir/usr/bin/interlock" "$binary"
# "name => path (address)" and, of the loader, "path (address)".
ldd "$binary" | sed -nE 's,^.*=> (/[^ ]+).*,\1,p; s,^\s+(/[^ ]+) \(.*,\1,p' | while IFS= read -r library; do
    mkdir -p "$dir$(dirname "$library")"
    cp -L "$library" "$dir$library"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$dir/etc/ssl/certs/"
echo "interlock:x:10001:10001::/data:/usr/bin/interlock" >"$dir/etc/passwd"
echo "interlock:x:10001:" >"$dir/etc/group"
echo "hosts: files dns" >"$dir/etc/nsswitch.conf"
du -sk "$dir" | awk '{ printf "image: %.1f MB of files\n", $1 / 1000 }'
