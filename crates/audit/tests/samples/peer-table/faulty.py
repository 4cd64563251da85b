def count(request):
    hits[request.remote_addr] += 1
