address=$(ip -j address | jq -r '.[].addr_info[].local')
