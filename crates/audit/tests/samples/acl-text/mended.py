def inside(peer):
    return ipaddress.ip_address(peer).is_private
def old(version):
    return version.startswith("2.")
