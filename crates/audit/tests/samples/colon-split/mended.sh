host=${address%:*}; host=${host#[}; host=${host%]}
