#!/bin/sh
# SPDX-License-Identifier: MIT
# The part of the official test suite that Debian has: test/spec of the source package binaryen, converted by wabt's wast2json
# and run by debian_suite.lua.   debian_suite.sh FOLDER: what is fetched and made stays there. Nothing outside of it changes:
# apt-get works with lists and sources of its own.
set -eu
folder=$1
apt=$folder/apt
log=$folder/log

give_up() { echo "official: $*" >&2; [ ! -f "$log" ] || tail -n 3 "$log" >&2; exit 1; }

fetch() {
  command -v apt-get >/dev/null || give_up "apt-get is not here: the suite comes from Debian's source package binaryen"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $codename main" \
    >"$apt/sources.list"
  own="-o Dir::State::lists=$apt/lists -o Dir::Cache=$apt/cache -o Dir::Etc::SourceList=$apt/sources.list
    -o Dir::Etc::SourceParts=- -o APT::Sandbox::User=$(id -un)"
  # shellcheck disable=SC2086
  apt-get $own update >"$log" 2>&1 || give_up "Debian's list of sources can't be had (is there a network?)"
  # shellcheck disable=SC2086
  (cd "$folder" && apt-get $own source --download-only binaryen) >"$log" 2>&1 ||
    give_up "the source package binaryen can't be had"
  archive=$(find "$folder" -maxdepth 1 -name 'binaryen_*.orig.tar.*' | head -n 1)
  [ -n "$archive" ] || give_up "the source package binaryen holds no archive"
  mkdir -p "$folder/source"
  tar -xf "$archive" -C "$folder/source" --strip-components=1 --wildcards '*/test/spec/*.wast' ||
    give_up "$archive holds no test/spec"
}

command -v wast2json >/dev/null || give_up "wast2json is not here: install wabt"
folder=$(mkdir -p "$folder" && cd "$folder" && pwd)
apt=$folder/apt log=$folder/log
[ -d "$folder/source/test/spec" ] || fetch

rm -rf "$folder/json"
mkdir -p "$folder/json"
left_out=""
for wast in "$folder"/source/test/spec/*.wast; do
  name=$(basename "$wast" .wast)
  wast2json --enable-all "$wast" -o "$folder/json/$name.json" >"$log" 2>&1 || {
    left_out="$left_out $name"
    rm -f "$folder/json/$name".*
  }
done
# shellcheck disable=SC2086
lua5.4 spec/support/debian_suite.lua "$folder/json" $left_out
