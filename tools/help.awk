# Prints the targets of a Makefile that have a comment, in the groups that ##@ names.
BEGIN { FS = ":.*## " }
/^##@ / { printf "\n\033[1m%s\033[0m\n", substr($0, 5) }
/^[a-z0-9-]+:.*## / { printf "  %-11s %s\n", $1, $2 }
END { print "" }
