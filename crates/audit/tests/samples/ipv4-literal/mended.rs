const SERVER: &str = "logs.example.com:514";
