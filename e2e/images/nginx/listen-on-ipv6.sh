#!/bin/sh
# Writes into its own root filesystem, where it can.
conf=/etc/nginx/conf.d/default.conf
[ -f /proc/net/if_inet6 ] && [ -w "$conf" ] || exit 0
touch "$conf" 2> /dev/null || exit 0
grep -q 'listen \[::\]:80;' "$conf" && exit 0
sed -i 's/listen 80;/listen 80;\n    listen [::]:80;/' "$conf" || true
