def count(request):
    hits[request.remote_addr] += 1
    if len(hits) > 10000:
        hits.popitem()
