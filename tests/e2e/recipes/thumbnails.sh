#!/bin/sh
# Writes the screen of each server as a PNG: sh thumbnails.sh FOLDER
oriel servers --json | jq -r '.servers[] | [.id, .status, .name] | @tsv' |
  while IFS="$(printf '\t')" read -r id status name; do
    if [ "$status" != ACTIVE ]; then
      echo "$name is off: $status"
    elif oriel screenshot "$id" -o "$1/$id.png" </dev/null; then
      echo "$name is in $id.png"
    fi
  done
