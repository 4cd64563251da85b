class Limiter { Map<InetAddress, Integer> hits = new HashMap<>(); }
