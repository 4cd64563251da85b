if nft get element inet filter local "{ $peer }"; then allow=1; fi
