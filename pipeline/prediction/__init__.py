"""A trained model at work: pictures, videos and cameras in; every face with its expression out, in rows or drawn."""
