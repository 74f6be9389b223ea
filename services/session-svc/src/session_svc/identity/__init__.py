"""Who calls: tokens kept in a file, and JWTs of an OpenID provider."""
