class Limiter { Map<InetAddress, Integer> hits = new HashMap<>(); void drop(InetAddress a) { hits.remove(a); } }
