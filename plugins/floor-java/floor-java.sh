#!/bin/sh
# The plugin's command: its jar and what that needs lie in lib, beside this script. exec, so that the process that plugind has
# started is the plugin itself; the options are for a small server that starts fast.
umask 077
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$(dirname "$0")/lib/*" clock.Main "$@"
