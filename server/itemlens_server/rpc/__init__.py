"""One module an RPC: check the request, call the domain, build the reply."""
