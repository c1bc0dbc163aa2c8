"""Hosting services whose customers get a name below theirs: who owns the service says nothing of who owns the name.

``evil.github.io`` is a tenant of ``github.io``, and no more GitHub's than a tenant's flat is the landlord's.

Source: a choice of the Public Suffix List's private section (publicsuffix.org): the services that turn up in feeds of
indicators. A ``*`` stands for one label, such as a region.
"""

import re
from typing import Final

SERVICES: Final = (
    # Pages and blogs
    "000webhostapp.com", "awsapps.com", "blogspot.com", "byethost.com", "carrd.co", "co.vu", "codeberg.page",
    "framer.app", "framer.website", "ghost.io", "gitbook.io", "github.io", "gitlab.io", "godaddysites.com",
    "hostingerapp.com", "infinityfreeapp.com", "jimdosite.com", "livejournal.com", "my.canva.site",
    "myshopify.com", "mystrikingly.com", "neocities.org", "notion.site", "readthedocs-hosted.com",
    "readthedocs.io", "rf.gd", "square.site", "strikingly.com", "tumblr.com", "typepad.com", "ucoz.com",
    "unaux.com", "webcindario.com", "webflow.io", "weebly.com", "weeblysite.com", "wixsite.com",
    "wixstudio.com", "wordpress.com", "wpengine.com", "wuaze.com", "yolasite.com", "zapier.app",
    # Applications
    "*.awsapprunner.com", "*.azurestaticapps.net", "*.elasticbeanstalk.com", "*.r.appspot.com", "*.run.app",
    "amplifyapp.com", "appspot.com", "azurestaticapps.net", "azurewebsites.net", "bubbleapps.io",
    "cloudfunctions.net", "codesandbox.io", "csb.app", "cyclic.app", "deno.dev", "edgecompute.app",
    "elasticbeanstalk.com", "execute-api.*.amazonaws.com", "firebaseapp.com", "fly.dev", "glitch.me",
    "herokuapp.com", "koyeb.app", "lambda-url.*.on.aws", "lovable.app", "netlify.app", "now.sh",
    "ondigitalocean.app", "onrender.com", "pages.dev", "pythonanywhere.com", "repl.co", "replit.app",
    "replit.dev", "run.app", "streamlit.app", "surge.sh", "up.railway.app", "vercel.app", "web.app",
    "workers.dev",
    # Storage and delivery
    "*.azurefd.net", "*.digitaloceanspaces.com", "*.linodeobjects.com", "*.wasabisys.com",
    "*.web.core.windows.net", "akamaihd.net", "akamaized.net", "azureedge.net", "azurefd.net", "b-cdn.net",
    "backblazeb2.com", "blob.core.windows.net", "cdn77.org", "cloudflare-ipfs.com", "cloudfront.net",
    "cos.*.myqcloud.com", "digitaloceanspaces.com", "dweb.link", "freetls.fastly.net", "global.ssl.fastly.net",
    "ipfs.dweb.link", "linodeobjects.com", "map.fastly.net", "on.fleek.co", "oss-*.aliyuncs.com", "r2.dev",
    "s3-*.amazonaws.com", "s3-website.*.amazonaws.com", "s3.*.amazonaws.com", "s3.amazonaws.com",
    "storage.googleapis.com", "wasabisys.com",
    # Machines
    "*.cloudapp.azure.com", "*.compute.amazonaws.com", "*.elb.amazonaws.com", "bc.googleusercontent.com",
    "clients.your-server.de", "cloudapp.azure.com", "cloudapp.net", "compute-1.amazonaws.com",
    "compute.amazonaws.com", "contaboserver.net", "elb.amazonaws.com", "ip.linodeusercontent.com",
    "members.linode.com", "vultrusercontent.com",
    # Tunnels, and names for machines at home
    "*.devtunnels.ms", "*.ngrok.io", "*.ts.net", "3utilities.com", "bore.pub", "bounceme.net", "ddns.net",
    "ddnsking.com", "devtunnels.ms", "duckdns.org", "dyndns.org", "dynu.net", "freeddns.org",
    "freedynamicdns.net", "freedynamicdns.org", "giize.com", "gotdns.ch", "hopto.org", "kozow.com", "loca.lt",
    "localtunnel.me", "mooo.com", "myddns.me", "myftp.biz", "myftp.org", "myvnc.com", "ngrok-free.app",
    "ngrok-free.dev", "ngrok.app", "ngrok.dev", "ngrok.io", "nip.io", "no-ip.biz", "no-ip.info", "no-ip.org",
    "onthewifi.com", "playit.gg", "portmap.host", "portmap.io", "publicvm.com", "redirectme.net",
    "servebeer.com", "serveblog.net", "servecounterstrike.com", "serveftp.com", "servegame.com",
    "servehalflife.com", "servehttp.com", "serveirc.com", "serveminecraft.net", "servemp3.com", "serveo.net",
    "servepics.com", "servequake.com", "sslip.io", "strangled.net", "sytes.net", "theworkpc.com",
    "trycloudflare.com", "ts.net", "viewdns.net", "webhop.me", "ydns.eu", "zapto.org",
)  # fmt: skip
"""Names below which everybody may have one."""

_NAMES: Final = "|".join(re.escape(name).replace(r"\*", "[^.]+") for name in SERVICES)

SERVICE: Final = f"^(?:{_NAMES})$"
"""A pattern for the names of the services, in lower case: what stands below one is a tenant's."""

OWN: Final = rf"^www\.({_NAMES})$"
"""A pattern for names of a service's own that stand below its name, which is the pattern's group."""
