//! The names behind the owner's numbers: links, ports, tags and customers, each numbered once.

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Address, Link, Name, Port, Role, Tag};
use serde::{Deserialize, Serialize};

use crate::lane::OTHER;

/// Numbers for links, ports, tags and customers, the same for all workers.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) links: Vec<Arc<Link>>,
    links_by_name: HashMap<Name, u32>,
    pub(crate) ports: Vec<Arc<Port>>,
    ports_by_name: HashMap<Name, u32>,
    /// Entry 0 is the empty tag.
    pub(crate) tags: Vec<Tag>,
    tags_by_content: HashMap<Tag, u32>,
    /// Entry 0 is no name.
    pub(crate) customers: Vec<Name>,
    customers_by_name: HashMap<Name, u32>,
}

impl Default for Names {
    fn default() -> Names {
        let mut names = Names {
            links: Vec::new(),
            links_by_name: HashMap::new(),
            ports: Vec::new(),
            ports_by_name: HashMap::new(),
            tags: Vec::new(),
            tags_by_content: HashMap::new(),
            customers: Vec::new(),
            customers_by_name: HashMap::new(),
        };
        names.tag(&Tag::default());
        names.customer(&Name::from(""));
        names
    }
}

impl Names {
    /// The number of a link; what is told last about it holds.
    pub(crate) fn link(&mut self, link: &Arc<Link>) -> u32 {
        if let Some(number) = self.links_by_name.get(&link.name) {
            let held = &mut self.links[*number as usize];
            if !Arc::ptr_eq(held, link) {
                *held = link.clone();
            }
            return *number;
        }
        let number = self.links.len() as u32;
        self.links_by_name.insert(link.name.clone(), number);
        self.links.push(link.clone());
        number
    }

    /// The number of a port; what is told last about it holds.
    pub(crate) fn port(&mut self, port: &Arc<Port>) -> u32 {
        if let Some(number) = self.ports_by_name.get(&port.name) {
            let held = &mut self.ports[*number as usize];
            if !Arc::ptr_eq(held, port) {
                *held = port.clone();
            }
            return *number;
        }
        let number = self.ports.len() as u32;
        self.ports_by_name.insert(port.name.clone(), number);
        self.ports.push(port.clone());
        number
    }

    /// Forgets what a configuration said of links; the next one says it anew.
    pub(crate) fn forget_configuration(&mut self) {
        for link in &mut self.links {
            Arc::make_mut(link).is_active = false;
        }
    }

    /// The number of the port that a link rides, if it is known.
    pub(crate) fn port_of(&self, link: &Link) -> Option<u32> {
        self.ports_by_name.get(link.port.as_ref()?).copied()
    }

    /// The number of a tag.
    pub(crate) fn tag(&mut self, tag: &Tag) -> u32 {
        if let Some(number) = self.tags_by_content.get(tag) {
            return *number;
        }
        let number = self.tags.len() as u32;
        self.tags_by_content.insert(tag.clone(), number);
        self.tags.push(tag.clone());
        number
    }

    /// The number of a customer's name.
    pub(crate) fn customer(&mut self, name: &Name) -> u32 {
        if let Some(number) = self.customers_by_name.get(name) {
            return *number;
        }
        let number = self.customers.len() as u32;
        self.customers_by_name.insert(name.clone(), number);
        self.customers.push(name.clone());
        number
    }

    /// The owner's numbers of a worker's links, by the worker's index.
    pub(crate) fn translate_links(&mut self, links: &[Arc<Link>]) -> Vec<u32> {
        links.iter().map(|link| self.link(link)).collect()
    }

    /// The owner's numbers of a worker's ports, by the worker's index.
    pub(crate) fn translate_ports(&mut self, ports: &[Arc<Port>]) -> Vec<u32> {
        ports.iter().map(|port| self.port(port)).collect()
    }

    /// The owner's number for a worker's index; what has no name there is `other`.
    pub(crate) fn link_number(&mut self, numbers: &[u32], index: u32) -> u32 {
        match numbers.get(index as usize) {
            Some(number) if index != OTHER => *number,
            _ => self.link(&Arc::new(other_link())),
        }
    }

    /// The owner's number for a worker's index; what has no name there is `other`.
    pub(crate) fn port_number(&mut self, numbers: &[u32], index: u32) -> u32 {
        match numbers.get(index as usize) {
            Some(number) if index != OTHER => *number,
            _ => self.port(&Arc::new(other_port())),
        }
    }
}

fn other_link() -> Link {
    Link {
        name: Name::from("other"),
        peering: None,
        kind: None,
        role: Role::Other,
        location: None,
        port: None,
        exporters: Vec::new(),
        is_active: false,
    }
}

fn other_port() -> Port {
    Port {
        name: Name::from("other"),
        exporter: Address::UNKNOWN,
        role: Role::Other,
        configured_bps: None,
        provisioned_bps: None,
        speed_bps: None,
        members: Vec::new(),
    }
}
