const SERVER: &str = "10.20.30.40:514";
