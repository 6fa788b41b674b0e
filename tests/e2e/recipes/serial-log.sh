#!/bin/sh
# Appends the output of a serial console to a file for as long as the server exists: sh serial-log.sh SERVER FILE
exec oriel serial "$1" --follow --log "$2" </dev/null >/dev/null
